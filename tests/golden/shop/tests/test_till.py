import pytest
from shop import Article, Till

@pytest.fixture
def till(): return Till([Article('pen', 100)])

def test_total(till): assert till.total() == 119

class TestSelling:
    def test_sell(self, till):
        assert till.sell(Article('ink', 5)) == 5
