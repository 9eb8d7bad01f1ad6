"""Reports: each takes the same plain data (:class:`verify.checking.Checked`) and gives text."""
