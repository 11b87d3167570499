"""A display that shows nothing."""


class Quiet:
    def __call__(self, event: object) -> None:
        pass

    def close(self) -> None:
        pass


def quietly(prepared: object, numbers: object) -> Quiet:
    return Quiet()
