from prunebench.testing import LrContract


class TestConstant(LrContract):
    component = {"use": "constant"}

    def test_it_is_one_everywhere(self) -> None:
        assert set(self.curve(100)) == {1.0}
