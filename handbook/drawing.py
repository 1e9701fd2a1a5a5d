"""Draw the handbook's pictures with schemdraw, as SVG files that a page shows without a script or a network."""

from __future__ import annotations

import itertools

import schemdraw
from schemdraw import flow

WAY = (
    ("flask db-migrate-data SOURCE", "app/commands/migrate.py"),
    ("a job is planned", "app/transfer/jobs/migrate.py"),
    ("and carried out, step by step", "app/transfer/jobs/passage.py"),
    ("backup: what is live", "app/transfer/cutover/secure.py"),
    ("extract: the source's rows", "app/transfer/sources/"),
    ("a snapshot on disk", "app/transfer/rows/snapshot.py"),
    ("staging at the rows' own revision", "app/transfer/staging/"),
    ("verify: every row, by checksum", "app/transfer/proof/"),
    ("upgrade to head, by Alembic", "app/transfer/schema/alembic.py"),
    ("check: rows, values, objects, rules", "app/transfer/proof/"),
    ("cut-over, ledger, receipt", "app/transfer/cutover/"),
)
"""What becomes of a row, a step a box: its words, and where the code is that does it."""
STAGING, CUT_OVER = 6, 10
WIDTH, HEIGHT, GAP = 7.6, 1.3, 0.55
INK, PAPER = "#222", "#fff"


def draw_way() -> str:
    """The picture of a row's way, as the text of an SVG file."""
    schemdraw.use("svg")
    with schemdraw.Drawing(show=False, fontsize=12, color=INK, bgcolor=PAPER) as drawing:
        boxes = [
            drawing.add(
                flow.Box(w=WIDTH, h=HEIGHT).at((0, -number * (HEIGHT + GAP))).anchor("N").label(f"{words}\n{place}")
            )
            for number, (words, place) in enumerate(WAY)
        ]
        for above, below in itertools.pairwise(boxes):
            drawing.add(flow.Arrow().at(above.S).to(below.N))
        staging, cut_over = boxes[STAGING], boxes[CUT_OVER]
        middle = (staging.E[0] + 1, (staging.E[1] + cut_over.E[1]) / 2)
        room = drawing.add(flow.Data(w=4.2, h=HEIGHT).at(middle).anchor("W").label("a server's room\napp/dialects/"))
        for box, end in ((staging, room.N), (cut_over, room.S)):
            drawing.add(flow.Wire("-|", arrow="<->").at(box.E).to(end))
    return drawing.get_imagedata("svg").decode()
