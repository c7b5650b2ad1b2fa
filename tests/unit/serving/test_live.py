"""What the workbench shows of a running model, read from Prometheus' text."""

from zhilu.serving.live import read_live

EXPOSITION = """# HELP zhilu_gateway_requests_total Requests answered.
# TYPE zhilu_gateway_requests_total counter
zhilu_gateway_requests_total{model="a",endpoint="/v1/chat/completions",status="200"} 3
zhilu_gateway_requests_total{model="a",endpoint="/v1/completions",status="400"} 1
zhilu_gateway_requests_total{model="b",endpoint="/v1/chat/completions",status="200"} 9
zhilu_gateway_tokens_total{model="a",kind="prompt"} 30
zhilu_gateway_tokens_total{model="a",kind="completion"} 40
zhilu_gateway_in_flight{model="a"} 2
zhilu_gateway_in_flight{model="b"} 7
vllm:generation_tokens_total{model="b",model_name="b"} 1.5e+03
vllm:prompt_tokens_total{model="b",model_name="b"} 700
vllm:num_requests_running{model="b",model_name="b"} 4
vllm:num_requests_waiting{model="b",model_name="b"} 3
vllm:kv_cache_usage_perc{model="b",model_name="b"} 0.25
"""


def test_an_engine_that_counts_is_believed() -> None:
    live = read_live(EXPOSITION, "b")
    assert (live.source, live.prompt_tokens, live.generated_tokens) == ("engine", 700, 1500)
    assert (live.running, live.waiting, live.kv_usage, live.num_answered) == (4, 3, 0.25, 9)


def test_where_the_engine_is_silent_the_gateway_tells_what_it_knows() -> None:
    live = read_live(EXPOSITION, "a")
    assert (live.source, live.prompt_tokens, live.generated_tokens) == ("gateway", 30, 40)
    assert (live.running, live.waiting, live.kv_usage, live.num_answered) == (2, None, None, 4)


def test_a_model_that_was_asked_nothing_has_zeros() -> None:
    live = read_live(EXPOSITION, "c")
    assert (live.generated_tokens, live.running, live.num_answered) == (0, 0, 0)


def test_names_with_quotes_are_found() -> None:
    assert read_live('zhilu_gateway_in_flight{model="a \\"b\\" \\\\c"} 5', 'a "b" \\c').running == 5


def test_engines_of_several_processes_are_added() -> None:
    text = 'vllm:num_requests_running{model="m",engine="0"} 2\nvllm:num_requests_running{model="m",engine="1"} 3'
    assert read_live(text, "m").running == 5
