"""The page: results as figures and markup (no Gradio), and one file a tab (Gradio)."""
