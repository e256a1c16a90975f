package com.example.hello;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class MainTest {
    @Test
    void greetsByPath() {
        assertEquals("Hello from Maven\n", Main.greeting("/Maven"));
    }

    @Test
    void greetsWithoutPath() {
        assertEquals("Hello from a runnable JAR\n", Main.greeting("/"));
    }
}
