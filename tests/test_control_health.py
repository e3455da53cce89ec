from bridge.control_health import Metric, render


def test_gauges_and_counters_follow_the_text_format():
    families = [
        Metric("a_total", "counter", "Help.", (({}, 3.0),)),
        Metric("b", "gauge", "More.", (({"x": 'say "hi"\n\\'}, 0.5), ({"x": "2", "y": "z"}, 1e9))),
    ]
    assert render(families) == (
        "# HELP a_total Help.\n# TYPE a_total counter\na_total 3.0\n"
        '# HELP b More.\n# TYPE b gauge\nb{x="say \\"hi\\"\\n\\\\"} 0.5\nb{x="2",y="z"} 1e+09\n'
    )
