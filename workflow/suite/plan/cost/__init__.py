"""What a run costs: sizes of the paper's models, memory and hours by formula."""
