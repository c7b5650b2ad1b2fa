"""Prometheus' text format, ours and the engines' together."""

from zhilu.serving.gateway.metrics import Counter, Gauge, LabelledHistogram, merge, with_label

ENGINE = """# HELP x_seconds How long.
# TYPE x_seconds histogram
x_seconds_bucket{le="1"} 2
x_seconds_bucket{le="+Inf"} 3
x_seconds_sum 4.5
x_seconds_count 3
# TYPE y gauge
y{name="a"} 1
"""


def test_a_counter_escapes_its_labels() -> None:
    counter = Counter("n_total", "Things.", ("what",))
    counter.add('a"b\\c\nd')
    counter.add('a"b\\c\nd', value=2)
    assert list(counter.lines())[-1] == 'n_total{what="a\\"b\\\\c\\nd"} 3'


def test_a_gauge_forgets() -> None:
    gauge = Gauge("g", "Now.")
    gauge.set(value=2.5)
    assert list(gauge.lines()) == ["# HELP g Now.", "# TYPE g gauge", "g 2.5"]
    gauge.clear()
    assert len(list(gauge.lines())) == 2


def test_buckets_add_up() -> None:
    histogram = LabelledHistogram("h", "Seconds.", ("m",))
    for value in (0.001, 0.3, 1000.0):
        histogram.add("x", value=value)
    lines = list(histogram.lines())
    assert 'h_bucket{m="x",le="0.005"} 1' in lines
    assert 'h_bucket{m="x",le="0.5"} 2' in lines
    assert 'h_bucket{m="x",le="+Inf"} 3' in lines
    assert 'h_count{m="x"} 3' in lines


def test_every_sample_gets_the_label_and_rubbish_is_left_out() -> None:
    lines = list(with_label(ENGINE + "<html>\n", "model", "tiny"))
    assert 'x_seconds_bucket{model="tiny",le="1"} 2' in lines
    assert 'x_seconds_sum{model="tiny"} 4.5' in lines
    assert not any("html" in line for line in lines)


def test_a_family_stands_together_once() -> None:
    text = merge([with_label(ENGINE, "model", "a"), with_label(ENGINE, "model", "b")])
    lines = text.splitlines()
    assert lines.count("# TYPE x_seconds histogram") == 1
    family = [line for line in lines if "x_seconds" in line]
    assert lines[: len(family)] == family
    assert sum('model="b"' in line for line in lines) == 5
    assert text.endswith("\n")
