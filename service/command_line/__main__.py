"""`python -m service.command_line`: the same as the script `streamgauge`."""

from service.command_line import main

main()
