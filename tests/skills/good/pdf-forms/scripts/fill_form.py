#!/usr/bin/env python3
"""Lists the fields of a PDF form, or fills a copy of it."""
import json
import sys

from pypdf import PdfReader, PdfWriter


def main(arguments):
    if arguments[:1] == ["--list"]:
        for name, field in (PdfReader(arguments[1]).get_fields() or {}).items():
            print(name, field.get("/FT"), field.get("/V"), sep="\t")
        return 0
    form, values, filled = arguments
    writer = PdfWriter(clone_from=form)
    with open(values, encoding="utf-8") as file:
        fields = json.load(file)
    for page in writer.pages:
        writer.update_page_form_field_values(page, fields)
    writer.write(filled)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
