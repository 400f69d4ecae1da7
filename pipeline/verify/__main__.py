"""`python -m pipeline.verify`: the verifier alone."""

import sys

from .program import main

sys.exit(main())
