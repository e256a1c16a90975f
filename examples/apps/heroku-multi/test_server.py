import unittest

import server


class TestServer(unittest.TestCase):
    def test_the_pages_are_made(self):
        self.assertIn("two buildpacks", (server.PUBLIC / "index.html").read_text())
