// A back end between a browser and the model, with nothing but the JDK (17 or newer): no library, no build.
//
//     java Backend.java                 then:  curl -N http://127.0.0.1:3000/api/chat -d "What can you do?"
//
// POST /api/chat takes the question as plain text and answers with server-sent events, OpenAI's chunks as they are. It keeps
// the key and the rules, and passes each piece on as it comes. Whoever closes the page stops the model.
// PORT (3000; 0 is a free one), ZHILU_URL, ZHILU_MODEL, ZHILU_API_KEY as in the other samples.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.Executors;

public class Backend {
    static final String URL = System.getenv().getOrDefault("ZHILU_URL", "http://127.0.0.1:8642/v1");
    static final String MODEL = System.getenv().getOrDefault("ZHILU_MODEL", "zhilu-nano");
    static final String KEY = System.getenv().getOrDefault("ZHILU_API_KEY", "");
    static final int PORT = Integer.parseInt(System.getenv().getOrDefault("PORT", "3000"));
    static final int MOST = 4000; // characters of a question
    static final String RULES = "Answer in the language of the question, briefly.";
    // HTTP/1.1: a server that knows no HTTP/2 would have to refuse an upgrade with every request.
    static final HttpClient CLIENT = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(10)).build();

    public static void main(String[] args) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), PORT), 0);
        server.setExecutor(Executors.newCachedThreadPool()); // one thread for each reader, while it reads
        server.createContext("/api/chat", Backend::chat);
        server.createContext("/health", exchange -> say(exchange, 200, "text/plain", "ok\n"));
        server.start();
        System.out.println("The back end listens at http://127.0.0.1:" + server.getAddress().getPort());
    }

    static void chat(HttpExchange exchange) throws IOException {
        try (exchange) {
            if (!exchange.getRequestMethod().equals("POST")) {
                refuse(exchange, 405, "Ask with POST.");
                return;
            }
            // A character has at most four bytes in UTF-8; one byte more tells that there is more.
            byte[] body = exchange.getRequestBody().readNBytes(4 * MOST + 1);
            String question = new String(body, StandardCharsets.UTF_8).strip();
            if (question.length() > MOST) refuse(exchange, 413, "A question has at most " + MOST + " characters.");
            else if (question.isEmpty()) refuse(exchange, 400, "The question is empty.");
            else answer(exchange, question);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    static void answer(HttpExchange exchange, String question) throws IOException, InterruptedException {
        String body = "{\"model\":" + quoted(MODEL) + ",\"messages\":[{\"role\":\"system\",\"content\":" + quoted(RULES)
                + "},{\"role\":\"user\",\"content\":" + quoted(question) + "}],\"max_tokens\":256,\"stream\":true,"
                + "\"stream_options\":{\"include_usage\":true}}";
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(URL + "/chat/completions"))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body));
        if (!KEY.isEmpty()) request.header("Authorization", "Bearer " + KEY);
        HttpResponse<InputStream> reply;
        try {
            reply = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
        } catch (IOException e) {
            refuse(exchange, 502, "Nothing answers at " + URL + ".");
            return;
        }
        // Closing the model's stream, however this ends, stops the model.
        try (InputStream from = reply.body()) {
            if (reply.statusCode() != 200) {
                say(exchange, 502, "application/json", new String(from.readAllBytes(), StandardCharsets.UTF_8));
                return;
            }
            exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
            exchange.getResponseHeaders().set("Cache-Control", "no-cache");
            exchange.getResponseHeaders().set("X-Request-Id", reply.headers().firstValue("x-request-id").orElse(""));
            exchange.sendResponseHeaders(200, 0); // 0: in chunks, until it ends
            OutputStream to = exchange.getResponseBody();
            byte[] piece = new byte[8192];
            for (int n; (n = from.read(piece)) > 0; ) {
                to.write(piece, 0, n);
                to.flush(); // a piece that waits in a buffer is no stream
            }
        }
    }

    static void refuse(HttpExchange exchange, int status, String message) throws IOException {
        say(exchange, status, "application/json", "{\"error\":{\"message\":" + quoted(message) + "}}");
    }

    static void say(HttpExchange exchange, int status, String type, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    /** A text as JSON writes it (RFC 8259, 7). */
    static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }
}
