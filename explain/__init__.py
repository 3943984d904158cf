"""Where a model looked, per expression, and how it is drawn. Imports fer_models, never Gradio or Plotly."""
