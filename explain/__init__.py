"""Evidence maps per expression: how they are made, drawn and evaluated. Imports fer_models, never Gradio or Plotly."""
