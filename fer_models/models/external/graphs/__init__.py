"""Graphs of others, ONNX and TFLite: checked as far as their format allows, and run by their own engines on the CPU.

`onnx_file` checks an ONNX file, `families` has the cards of well-known ones, `head` finds the linear head that gives
evidence maps, and `onnx_model` runs it. `tflite_model` does the same for TFLite files.
"""
