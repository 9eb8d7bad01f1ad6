"""Reports: each takes the same plain data (:class:`verify.check.Checked`) and gives text."""
