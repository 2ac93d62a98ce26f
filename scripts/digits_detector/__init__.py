"""Train the embedded digits detector with numpy and write it as a TFLite file.

Run `python -m scripts.digits_detector` in the development environment.
"""
