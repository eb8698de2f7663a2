"""The folder that `quern run` puts first on `PYTHONPATH`: Python imports its `sitecustomize.py` when it starts."""
