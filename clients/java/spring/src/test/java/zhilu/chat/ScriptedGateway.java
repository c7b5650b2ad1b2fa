package zhilu.chat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;

/** Speaks OpenAI's protocol in words that are known: it calls a tool that it is offered, and says what came of it. */
final class ScriptedGateway {
    final List<String> asked = new CopyOnWriteArrayList<>();
    private final HttpServer server;

    ScriptedGateway() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        }));
        server.createContext("/v1/chat/completions", this::chat);
        server.createContext("/zhilu/v1/kbs", exchange -> {
            boolean searches = exchange.getRequestURI().getPath().endsWith("/k1/search");
            exchange.getRequestBody().readAllBytes();
            send(exchange, "application/json", searches
                    ? "{\"hits\": [{\"doc_name\": \"leave.md\", \"text\": \"Everybody has 25 days.\", \"score\": 0.9, \"page\": null}]}"
                    : "[{\"id\": \"k1\", \"name\": \"handbook\", \"num_documents\": 1}]");
        });
        server.start();
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort() + "/v1";
    }

    private void chat(HttpExchange exchange) throws IOException {
        String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        asked.add(body);
        if (body.contains("break off")) {
            exchange.sendResponseHeaders(400, 0);
            try (OutputStream out = exchange.getResponseBody()) {
                out.write("{\"error\": {\"message\": \"the model is away\", \"type\": \"invalid_request_error\"}}".getBytes(
                        StandardCharsets.UTF_8));
            }
            return;
        }
        boolean calls = body.contains("\"tools\"") && body.contains("order 1001") && !body.contains("\"role\":\"tool\"");
        StringBuilder events = new StringBuilder();
        if (calls) {
            events.append(chunk("{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\","
                    + "\"function\":{\"name\":\"order_status\",\"arguments\":\"\"}}]}", "null"));
            events.append(chunk("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"number\\\": \\\"1001\\\"}\"}}]}",
                    "null"));
            events.append(chunk("{}", "\"tool_calls\""));
        } else {
            String said = body.contains("shipped on Monday") ? "It was shipped." : body.contains("25 days") ? "25 days." : "Hello.";
            for (String letter : said.split("(?<= )")) events.append(chunk("{\"content\":\"" + letter + "\"}", "null"));
            events.append(chunk("{}", "\"stop\""));
        }
        send(exchange, "text/event-stream", events + "data: [DONE]\n\n");
    }

    private static String chunk(String delta, String reason) {
        return "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"scripted\",\"choices\":[{"
                + "\"index\":0,\"delta\":" + delta + ",\"finish_reason\":" + reason + "}]}\n\n";
    }

    private static void send(HttpExchange exchange, String type, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(200, bytes.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(bytes);
        }
    }
}
