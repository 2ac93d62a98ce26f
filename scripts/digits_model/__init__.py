"""Train the embedded digits classifier with numpy and write it as an int8 TFLite file.

Run `python -m scripts.digits_model` in the development environment.
"""
