"""Folders of the suite's code and data, in a checkout and in an installed package alike.

`schemas`, `scales`, `captions` and `published` are links to folders that Snakemake and readers
expect elsewhere in a checkout; an installed package has copies of them.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent
# holds the packages `leap` and `baselines`: the checkout, or the folder of installed packages
ROOT = PACKAGE.parent if (PACKAGE.parent / "leap").is_dir() else PACKAGE.parents[1]
SCHEMAS = PACKAGE / "schemas"
SCALES = PACKAGE / "scales"
CAPTIONS = PACKAGE / "captions"
PUBLISHED = PACKAGE / "published"
