/* Replaces a class in Debian's Surefire, which waits after each test run for the thread that feeds the test process
   until that one wakes up, 10 seconds later. The process has ended by then, so there is nothing to wait for. */
package org.apache.maven.surefire.shade.org.apache.maven.shared.utils.cli;

class AbstractStreamHandler extends Thread {
    private volatile boolean done;
    private volatile boolean disabled;

    boolean isDone() {
        return done;
    }

    public synchronized void waitUntilDone() throws InterruptedException {
        if (this instanceof StreamFeeder) return; // its close(), called next, ends it
        while (!isDone()) wait();
    }

    boolean isDisabled() {
        return disabled;
    }

    public void disable() {
        disabled = true;
    }

    protected void setDone() {
        done = true;
    }
}
