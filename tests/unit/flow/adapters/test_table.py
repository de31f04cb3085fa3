from flow.adapters import ADAPTERS
from flow.signatures import SCHEMES


def test_every_source_stands_under_its_own_name_with_its_own_scheme():
    assert ADAPTERS
    for name, source in ADAPTERS.items():
        assert source.name == name
        assert source.signature == SCHEMES[name]
        assert source.item
