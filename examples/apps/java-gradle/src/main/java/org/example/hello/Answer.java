package org.example.hello;

import com.google.gson.Gson;
import java.util.Map;

/** What a path is answered with. */
record Answer(int status, String type, String body) {
    private static final String HELLO = "/hello/";

    static Answer to(String path) {
        if (path.equals("/")) {
            return new Answer(200, "text/html", "<!doctype html>\n<title>Java</title>\n<h1>Hello from Gradle</h1>\n");
        }
        if (path.startsWith(HELLO)) {
            return new Answer(200, "application/json", new Gson().toJson(Map.of("hello", path.substring(HELLO.length()))));
        }
        return new Answer(404, "text/plain", "there is nothing here\n");
    }
}
