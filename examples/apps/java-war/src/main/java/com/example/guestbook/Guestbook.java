package com.example.guestbook;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.commons.text.StringEscapeUtils;

/** The entries, newest first, safe to be shown in a page. They live as long as the process. */
public class Guestbook {
    private static final int LONGEST = 200;

    private final List<String> entries = new CopyOnWriteArrayList<>();

    public void sign(String text) {
        String trimmed = text == null ? "" : text.strip();
        if (trimmed.isEmpty()) throw new IllegalArgumentException("an entry needs some text");
        if (trimmed.length() > LONGEST) trimmed = trimmed.substring(0, LONGEST);
        entries.add(0, StringEscapeUtils.escapeHtml4(trimmed));
    }

    public List<String> entries() {
        return List.copyOf(entries);
    }
}
