"""HTML and SVG elements, built as a tree: no text can break out of its element.

The text that comes out is HTML and well-formed XML at once.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

__all__ = ["Element", "both", "document", "element", "table"]

# Nothing from outside may be loaded, nor anything run, should a browser be asked to.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def element(tag: str, *children: "Element | str", **attributes: str | float) -> Element:
    """Return an element.

    Args:
        tag: its name.
        children: elements and texts, in order.
        attributes: `class_` is class, and `stroke_width` stroke-width; numbers are rounded
            to a tenth, which in a picture is a tenth of a point.
    """
    made = Element(tag)
    for name, value in attributes.items():
        text = value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
        made.set(name.rstrip("_").replace("_", "-"), text)
    last: Element | None = None
    for child in children:
        if not isinstance(child, str):
            made.append(child)
            last = child
        elif last is None:
            made.text = (made.text or "") + child
        else:
            last.tail = (last.tail or "") + child
    return made


def both(tag: str, english: str, indonesian: str, **attributes: str | float) -> Element:
    """Return an element that says the same in English and, smaller, in Bahasa Indonesia."""
    other = element("span", indonesian, lang="id", class_="id")
    return element(tag, english, " ", other, **attributes)


def table(head: Sequence["Element | str"], rows: Sequence[Sequence["Element | str"]]) -> Element:
    """Return a table whose rows begin with their names; no cell may be empty."""
    return element(
        "table",
        element("thead", element("tr", *(element("th", cell, scope="col") for cell in head))),
        element(
            "tbody",
            *(
                element(
                    "tr",
                    element("th", row[0], scope="row"),
                    *(element("td", cell) for cell in row[1:]),
                )
                for row in rows
            ),
        ),
    )


def document(title: str, style: str, body: Element) -> str:
    """Return a page that needs no other file.

    Args:
        title: its title.
        style: its style sheet, without the signs < > and &.
        body: its body.
    """
    page = element("html", lang="en")
    head = SubElement(page, "head")
    head.append(element("meta", charset="utf-8"))
    policy = element("meta", content=_POLICY)
    policy.set("http-equiv", "Content-Security-Policy")
    head.append(policy)
    head.append(element("meta", name="viewport", content="width=device-width"))
    head.append(element("title", title))
    head.append(element("style", style))
    page.append(body)
    return f"<!DOCTYPE html>\n{tostring(page, encoding='unicode')}\n"
