"""The book as a web site, made from the source: `python -m docs.site`.

Pages of operations come from their files, and every number on them is computed when the site is built. The guides are the
Markdown files of docs/. `book.py` puts the pages together; MkDocs makes HTML of them, which needs no network to be read.
"""
