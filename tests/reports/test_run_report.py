"""The report stands alone, escapes what it is given and stays small."""

import base64
import html.parser
import re

import numpy as np
import pytest
from picture_data import GREYS, make_metric_rows, make_tiles

from tfvae.plots import curves, grids
from tfvae.reports import run_report


class Page(html.parser.HTMLParser):
    """Collects tags, images and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "img":
            self.images.append(dict(attributes)["src"])

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def page(tmp_path):
    evil = "<script>alert('x')</script>&\""
    shots = [grids.draw_image_grid(make_tiles(GREYS[n:]), tmp_path / "samples" / f"{n}.png") for n in range(3)]
    curve = curves.draw_training_curves(make_metric_rows(), tmp_path / "plots" / "training.png")
    config = {"objective": f"geco:{evil}", "dataset": "digits", "dequantize": True, "nested": {"a": [1, evil]}}
    rows = [*make_metric_rows(), make_metric_rows()[-1] | {"rate": float("inf")}]
    facts = [("met", False), (evil, evil), ("ELBO", -241.237123)]
    path = run_report.write_report(tmp_path, config, {"cpu": evil, evil: None}, rows, facts, [curve], shots)
    assert path == tmp_path / "report.html"
    return path.read_text(), [curve, *shots]


def test_report_embeds_every_image_byte_for_byte(page):
    sources = [source.removeprefix("data:image/png;base64,") for source in Page(page[0]).images]
    assert [base64.b64decode(source) for source in sources] == [path.read_bytes() for path in page[1]]


def test_report_escapes_what_it_is_given(page):
    read = Page(page[0])
    assert not [tag for tag, _ in read.tags if tag == "script"]
    assert "".join(read.text).count("<script>alert('x')</script>") >= 6


def test_report_stands_alone(page):
    text = re.sub("base64,[A-Za-z0-9+/=]*", "", page[0])
    assert "http" not in text and "url(" not in text and "@import" not in text
    for tag, attributes in Page(page[0]).tags:
        assert tag not in ("script", "link", "iframe", "object") and "href" not in attributes


def test_report_says_the_numbers(page):
    text = " ".join(Page(page[0]).text)
    for word in ("-241.24", "Last of 13 epochs", "training", "digits", "yes", "no", "inf"):
        assert word in text


def test_report_stays_small_and_names_what_is_not_in_it(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1, 1300, 1300, 3), dtype=np.uint8)
    large = grids.draw_image_grid(noise, tmp_path / "large.png")
    small = grids.draw_image_grid(make_tiles(GREYS), tmp_path / "small.png")
    path = run_report.write_report(tmp_path, {}, {}, [], [], [large, small, tmp_path / "gone.png"], [])
    text = path.read_text()
    assert large.stat().st_size > 5e6 > path.stat().st_size
    assert "large: not embedded" in text and "gone.png could not be read" in text
    assert len(Page(text).images) == 1
