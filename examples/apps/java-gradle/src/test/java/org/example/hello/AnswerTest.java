package org.example.hello;

import static org.junit.Assert.assertEquals;

import org.junit.Test;

public class AnswerTest {
    @Test
    public void aNameIsGreeted() {
        assertEquals("{\"hello\":\"World\"}", Answer.to("/hello/World").body());
        assertEquals(404, Answer.to("/nowhere").status());
    }
}
