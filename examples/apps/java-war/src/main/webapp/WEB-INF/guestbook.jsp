<%@ page contentType="text/html; charset=UTF-8" import="java.util.List" %>
<!DOCTYPE html>
<html lang="en">
<head><title>Guestbook</title></head>
<body>
  <h1>Hello from Tomcat</h1>
  <form method="post" action="sign">
    <input name="text" maxlength="200" required>
    <button>Sign</button>
  </form>
  <ul>
  <% for (Object entry : (List<?>) request.getAttribute("entries")) { %>
    <li><%= entry %></li>
  <% } %>
  </ul>
</body>
</html>
