"""The pages, one file a subject. Each is a Flask blueprint; who may see what is in `entrance.py`."""
