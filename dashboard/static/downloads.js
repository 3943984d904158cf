// Clicks inside `element`: save a chart, choose a panel, read a cell, sort a table, scroll to a section. Used by the
// leaderboard, its report and the lab.
element.addEventListener('click', (event) => {
  const save = event.target.closest('[data-save]');
  // In the report a chart stands in the section of its button, in the tab in an element of its own.
  const name = save?.dataset.chart;
  const chart = save && (save.closest('section[data-report]') ?? document).querySelector(
    `[data-drawn="${name}"] .js-plotly-plot, #board-${name} .js-plotly-plot, #${name} .js-plotly-plot`
  );
  if (chart) {
    const layout = {...chart.layout, paper_bgcolor: '#ffffff', plot_bgcolor: '#ffffff', updatemenus: []};
    layout.margin = {...layout.margin, l: 24, r: 24, t: 24, b: 24};
    let height = chart.clientHeight;
    // A chart that the page explains around it: its file has title, legend and version of its own.
    const alone = layout.meta?.alone;
    if (alone) {
      layout.title = {text: alone.title, x: 0, xref: 'paper', xanchor: 'left', y: 1, yref: 'container', yanchor: 'top',
        pad: {t: 20}, font: {size: 18, color: '#18181b'}};
      layout.showlegend = true;
      layout.margin = {...layout.margin, t: 72, b: 64};
      layout.annotations = [...layout.annotations ?? [], {text: alone.note, x: 0, xref: 'paper', xanchor: 'left', y: 0,
        yref: 'paper', yanchor: 'top', yshift: -48, showarrow: false, font: {size: 12}}];
      height += 130;
    }
    window.Plotly.downloadImage(
      {data: chart.data, layout},
      {format: save.dataset.save, filename: save.dataset.name, width: 960, height, scale: 2}
    );
  }
  const pick = event.target.closest('[data-pick]');
  if (pick) {
    const picker = pick.closest('.fer-picker');
    for (const button of picker.querySelectorAll('[data-pick]')) {
      button.setAttribute('aria-pressed', String(button === pick));
    }
    for (const panel of picker.querySelectorAll('[data-panel]')) {
      panel.hidden = panel.dataset.panel !== pick.dataset.pick;
    }
  }
  const cell = event.target.closest('[data-says]');
  if (cell) {
    const panel = cell.closest('[data-panel]');
    for (const other of panel.querySelectorAll('[data-says]')) {
      other.setAttribute('aria-pressed', String(other === cell));
    }
    panel.querySelector('.fer-says').textContent = cell.dataset.says;
  }
  const jump = event.target.closest('[data-jump]');
  if (jump) document.getElementById(jump.dataset.jump)?.scrollIntoView({behavior: 'smooth', block: 'start'});
  const sort = event.target.closest('[data-sort]');
  if (sort) {
    const table = sort.closest('table');
    for (const head of table.querySelectorAll('th[aria-sort]')) {
      head.setAttribute('aria-sort', head.contains(sort) ? 'ascending' : 'none');
    }
    const place = (row) => Number(row.getAttribute(`data-order-${sort.dataset.sort}`));
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort((a, b) => place(a) - place(b)));
  }
});
// A pair's test is read where it is pointed at or focused, too.
for (const kind of ['mouseover', 'focusin']) {
  element.addEventListener(kind, (event) => {
    const cell = event.target.closest('[data-result][data-says]');
    if (cell) cell.closest('[data-panel]').querySelector('.fer-says').textContent = cell.dataset.says;
  });
}
