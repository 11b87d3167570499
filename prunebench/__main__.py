"""`python -m prunebench` is the command `prunebench`."""

from prunebench.commands.main import main

if __name__ == "__main__":
    main(prog_name="python -m prunebench")
