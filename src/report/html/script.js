// Filters: by text, by verdict, with or without controls; a page has those that fit it. The list of cases is sorted by a column's name. Without scripts everything is shown as it was written.
(() => {
  const all = (what) => [...document.querySelectorAll(what)];
  const form = document.querySelector('form');
  const filter = () => {
    const text = form.text.value.trim().toLowerCase();
    const boxes = all('[name=verdict]');
    const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const controls = !form.controls || form.controls.checked;
    for (const one of all('[data-case]')) {
      one.hidden = !(one.dataset.case.toLowerCase().includes(text)
        && (boxes.length === 0 || shown.has(one.dataset.verdict))
        && (controls || one.dataset.control === 'no'));
    }
    const rows = all('[data-case]:not(details)');
    const left = rows.filter((row) => !row.hidden);
    // a control is no case
    const of = (control) => [left, rows].map((list) => list.filter((row) => (row.dataset.control === 'yes') === control).length).join(' of ');
    const apart = rows.some((row) => row.dataset.control === 'yes');
    const said = apart ? `${of(false)} cases, ${of(true)} controls` : of(false);
    form.shown.value = left.length === rows.length ? '' : `${said} shown`;
    document.getElementById('empty').hidden = left.length > 0;
  };
  const fold = (open) => all('details.case:not([hidden])').forEach((one) => { one.open = open; });
  if (form) {
    form.hidden = false;
    form.addEventListener('input', filter);
    form.addEventListener('submit', (event) => event.preventDefault());
    form.unfold?.addEventListener('click', () => fold(true));
    form.fold?.addEventListener('click', () => fold(false));
    filter();
  }
  // a column's name sorts by it, then the other way, then not at all: the page's own order
  const table = document.querySelector('table.cases');
  const given = table ? [...table.tBodies] : [];
  const sort = (th, way) => {
    const key = (group) => group.rows[0].cells[th.cellIndex].dataset.key ?? '';
    const order = (a, b) => (th.dataset.sort === 'number' ? a - b : a.localeCompare(b, 'en', { numeric: true }));
    const compare = (one, other) => {
      const [a, b] = [key(one), key(other)];
      // what has none comes last, whichever way
      return a && b ? order(a, b) * (way === 'descending' ? -1 : 1) : !a - !b;
    };
    table.append(...(way ? [...given].sort(compare) : given));
  };
  for (const th of all('table.cases th[data-sort]')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...th.childNodes);
    th.append(button);
    // of what is counted, the most is looked for
    const ways = th.dataset.sort === 'number' ? ['descending', 'ascending', ''] : ['ascending', 'descending', ''];
    button.addEventListener('click', () => {
      const way = ways[(ways.indexOf(th.getAttribute('aria-sort') ?? '') + 1) % ways.length];
      all('table.cases th').forEach((one) => one.removeAttribute('aria-sort'));
      if (way) th.setAttribute('aria-sort', way);
      sort(th, way);
    });
  }
  // whoever follows a link wants to see what is behind it
  const follow = () => {
    const there = location.hash && document.getElementById(location.hash.slice(1));
    if (there && there.tagName === 'DETAILS') {
      there.open = true;
      there.scrollIntoView();
    }
  };
  addEventListener('hashchange', follow);
  // a print has everything that is not filtered away, and leaves the page as it was
  let folded = [];
  addEventListener('beforeprint', () => {
    folded = all('details:not([open])');
    folded.forEach((one) => { one.open = true; });
  });
  addEventListener('afterprint', () => folded.forEach((one) => { one.open = false; }));
  follow();
})();
