package com.example.guestbook;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import java.util.List;
import org.junit.Test;

public class GuestbookTest {
    @Test
    public void newestEntryComesFirst() {
        Guestbook guestbook = new Guestbook();
        guestbook.sign("one");
        guestbook.sign("two");
        assertEquals(List.of("two", "one"), guestbook.entries());
    }

    @Test
    public void entriesAreEscaped() {
        Guestbook guestbook = new Guestbook();
        guestbook.sign("<b>hi</b>");
        assertEquals(List.of("&lt;b&gt;hi&lt;/b&gt;"), guestbook.entries());
    }

    @Test
    public void emptyEntriesAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> new Guestbook().sign("  "));
    }
}
