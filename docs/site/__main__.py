"""Make the site: `python -m docs.site`."""

import argparse
import logging
from pathlib import Path

from mkdocs.exceptions import Abort

from docs.site.book import build
from docs.site.links import ROOT

if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m docs.site", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "book", help="folder for pages and site")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        print(build(parser.parse_args().out) / "index.html")
    except Abort as error:
        raise SystemExit(str(error)) from None
