"""What is shown and handed on: the page, releases, the repository's examples."""
