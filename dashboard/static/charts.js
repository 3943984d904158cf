// Plotly gives a chart in a hidden tab a width of its own and then only follows the window. Here every chart of the page
// follows the element around it; one watch for the whole page, whichever tab asks for it first.
if (!window.ferCharts) {
  const sizes = new ResizeObserver((entries) => {
    for (const {target, contentRect} of entries) {
      for (const chart of target.querySelectorAll('.js-plotly-plot')) {
        const drawn = chart._fullLayout?.width;
        if (contentRect.width > 0 && drawn && Math.abs(drawn - contentRect.width) > 1) window.Plotly?.Plots.resize(chart);
      }
    }
  });
  const follow = () => {
    for (const chart of document.querySelectorAll('.js-plotly-plot:not([data-follows])')) {
      chart.dataset.follows = '';
      sizes.observe(chart.parentElement);
    }
  };
  window.ferCharts = new MutationObserver(follow);
  window.ferCharts.observe(document.body, {childList: true, subtree: true});
  follow();
}
