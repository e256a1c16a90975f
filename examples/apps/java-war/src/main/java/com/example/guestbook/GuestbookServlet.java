package com.example.guestbook;

import jakarta.servlet.ServletException;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;

/** Shows the guestbook at / and takes new entries by POST /sign. */
@WebServlet(urlPatterns = {"", "/sign"})
public class GuestbookServlet extends HttpServlet {
    private final Guestbook guestbook = new Guestbook();

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws ServletException, IOException {
        request.setAttribute("entries", guestbook.entries());
        request.getRequestDispatcher("/WEB-INF/guestbook.jsp").forward(request, response);
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        request.setCharacterEncoding("UTF-8");
        try {
            guestbook.sign(request.getParameter("text"));
            response.sendRedirect(request.getContextPath() + "/");
        } catch (IllegalArgumentException e) {
            response.sendError(HttpServletResponse.SC_BAD_REQUEST, e.getMessage());
        }
    }
}
