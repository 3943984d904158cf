"""The page: a package per tab, with typed views, templates and figures (no Gradio) and one tab.py (Gradio)."""
