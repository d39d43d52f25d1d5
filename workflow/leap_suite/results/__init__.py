"""All results of a run in two frames, and the statistics that tables, figures and pages share."""
