"""A QMP conversation with ring3: one command, one answer; events in between are passed over."""
import json
import socket


class Refused(Exception):
    """The socket, or what answers there, is not what it should be; the text says why, in a line."""


class Qmp:
    def __init__(self, path, patience=10):
        self.path, self.socket = path, socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience)
        try:
            self.socket.connect(path)
            self.file, self.answers = self.socket.makefile("w"), self.socket.makefile("r")
            greeting = json.loads(self.answers.readline() or "null")
        except (OSError, ValueError) as why:
            raise Refused("%s: %s" % (path, why)) from None
        if not isinstance(greeting, dict) or "QMP" not in greeting:
            raise Refused("%s: no QMP there" % path)
        self.run("qmp_capabilities")

    def run(self, command):
        """What the command returns."""
        try:
            self.file.write(json.dumps({"execute": command}) + "\n")
            self.file.flush()
            while True:
                answer = json.loads(self.answers.readline() or "null")
                if answer is None:
                    raise Refused("%s: ring3 has ended" % self.path)
                if "error" in answer:
                    raise Refused("%s: %s" % (command, answer["error"]["desc"]))
                if "return" in answer:
                    return answer["return"]
        except (OSError, ValueError) as why:
            raise Refused("%s: %s" % (self.path, why)) from None
