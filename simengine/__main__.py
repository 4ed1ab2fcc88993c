"""``python -m simengine`` is the command ``simengine``."""

import sys

from simengine.cli import main

sys.exit(main())
