"""Files by HTTP, on the loopback interface: a guest's private network reaches them at 10.0.2.2."""
import http.server
import threading


class Files:
    """file(path) is asked for each, the path with its slash: bytes, or None where there is none. `port` is where; a guest's
    requests are served one beside the other."""

    def __init__(self, file):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                data = file(self.path)
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
