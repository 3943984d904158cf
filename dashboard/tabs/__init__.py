"""One file a tab: `build(analyzer)` lays it out and connects it. With app.py the only code that imports Gradio."""
