// Filters: by text, by verdict, with or without controls; a page has those that fit it. Without scripts everything is shown.
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
    const count = rows.filter((row) => !row.hidden).length;
    form.shown.value = count === rows.length ? '' : `${count} of ${rows.length} shown`;
    document.getElementById('empty').hidden = count > 0;
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
