// Filters: by text, by verdict, with or without controls. Without scripts everything is shown.
(() => {
  const form = document.querySelector('form');
  const cases = [...document.querySelectorAll('[data-case]')];
  const empty = document.getElementById('empty');
  form.hidden = false;
  const apply = () => {
    const text = form.text.value.trim().toLowerCase();
    const shown = new Set([...form.querySelectorAll('[name=verdict]:checked')].map((box) => box.value));
    let count = 0;
    for (const one of cases) {
      const fits = one.dataset.case.toLowerCase().includes(text) && shown.has(one.dataset.verdict)
        && (form.controls.checked || one.dataset.control === 'no');
      one.hidden = !fits;
      count += fits && one.tagName === 'DETAILS' ? 1 : 0;
    }
    empty.hidden = count > 0;
  };
  form.addEventListener('input', apply);
  form.addEventListener('submit', (event) => event.preventDefault());
  // whoever follows a link wants to see what is behind it, and a print has everything
  const open = () => {
    const there = location.hash && document.getElementById(location.hash.slice(1));
    if (there && there.tagName === 'DETAILS') there.open = true;
  };
  addEventListener('hashchange', open);
  addEventListener('beforeprint', () => document.querySelectorAll('details.case, details.moment')
    .forEach((one) => { one.open = true; }));
  open();
  apply();
})();
